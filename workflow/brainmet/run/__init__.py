"""What Snakemake touches: the run's configuration and samples, each rule's code, each script's job."""

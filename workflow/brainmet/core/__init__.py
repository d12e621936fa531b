"""What every stage stands on and no stage owns: files, tables, counts, and small numerical parts."""

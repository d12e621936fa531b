"""Names of files and the samples they are of."""

from brainmet.core.names import matches_name


def test_prefixes_end_at_a_word():
    assert matches_name("GSM1_BRBMET8.barcodes.tsv.gz", "GSM1_BRBMET8")
    assert not matches_name("GSM1_BRBMET87.barcodes.tsv.gz", "GSM1_BRBMET8")
    assert matches_name("folder/GSM1", "GSM1")
    assert matches_name("runs/GSM1_BRBMET8.tar.gz", "BRBMET8")
    assert not matches_name("GSM1_BRBMET87.h5", "BRBMET8")

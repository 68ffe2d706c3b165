"""What dataprep.py does: corpora to lists, the audit of their audio, the download of MLAADv5."""

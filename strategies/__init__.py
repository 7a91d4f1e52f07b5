"""The shelf of client strategies, one file each; a new file here is found by its folder."""

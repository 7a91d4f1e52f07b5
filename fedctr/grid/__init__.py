"""Many experiments from one file, resumed where they stopped, with one table and a picture for each sweep."""

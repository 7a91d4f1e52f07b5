"""Click-through-rate models, one file each, written once for shared and for per-user weights."""

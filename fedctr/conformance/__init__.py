"""Whether a strategy, a model or a data set keeps its contract: tried out, rule by rule."""

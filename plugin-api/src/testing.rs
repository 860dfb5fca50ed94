//! A run that exists only in memory, so that authors test a hook without a trainer. Knows nothing of libtorch.

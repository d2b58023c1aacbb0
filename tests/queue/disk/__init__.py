"""A disk to crash: `recording` sees each change that code makes, `image` says what a crash leaves of them."""

//! What Strongroom does, one file a use case.

//! An OAuth client that knows RFCs and no provider's name.

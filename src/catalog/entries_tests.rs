//! What the embedded entries say: what clients rely on, to the letter.

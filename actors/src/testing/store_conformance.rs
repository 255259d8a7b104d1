//! What every checkpoint store has to do, run on each of them.

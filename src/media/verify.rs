//! Reads an output back and compares it with the plan.

//! Finds a way to run Redis and starts it in the asked topology.

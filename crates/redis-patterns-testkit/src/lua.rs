//! Checks of the text of Lua scripts.

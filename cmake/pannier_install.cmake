# Headers, library, CMake package and pkg-config file.
include_guard(GLOBAL)

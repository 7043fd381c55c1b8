#pragma once

/// toml++ with its assertions off: version 3.3 asserts what a wrong file can break, such as "[=]", before it finds the
/// error. Include this instead of its own header.
#define TOML_ASSERT(expr) static_cast<void>(0)
#include <toml++/toml.h>

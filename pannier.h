#pragma once

/// Everything a program that writes actors needs, in one include. Transports and the operating system's parts
/// are chosen in `main` and included there.

#include "platform/result.h"
#include "runtime/limits.h"
#include "runtime/type_id.h"

#pragma once

#include "runtime/limits.h"

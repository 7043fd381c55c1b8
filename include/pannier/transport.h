#pragma once

#include "runtime/link/transport.h"

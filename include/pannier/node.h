#pragma once

#include "runtime/node/node.h"

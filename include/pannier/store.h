#pragma once

#include "runtime/store/row.h"
#include "runtime/store/store.h"

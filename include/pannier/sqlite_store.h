#pragma once

#include "runtime/store/sqlite_store.h"

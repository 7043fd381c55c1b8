#pragma once

#include "testkit/memory_store.h"
#include "testkit/faulty_store.h"

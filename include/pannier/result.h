#pragma once

#include "platform/result.h"

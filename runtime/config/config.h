// All of the configuration library: documents, reading, writing, help.
#pragma once

#include "runtime/config/document.h"
#include "runtime/config/dump.h"
#include "runtime/config/error.h"
#include "runtime/config/keys.h"
#include "runtime/config/nearest.h"
#include "runtime/config/read.h"

// Searching hyper-parameters: <mobula/tune/space.h>, <mobula/tune/study.h>, <mobula/tune/run.h>.
#pragma once

#include <mobula/tune/objective.h>
#include <mobula/tune/report.h>
#include <mobula/tune/run.h>
#include <mobula/tune/space.h>
#include <mobula/tune/study.h>

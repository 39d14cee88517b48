// From the options of the public headers to what the Owner understands. Throws TaskError(invalid) naming the option.
#pragma once

#include <mobula/options.h>

#include "runtime/base/resources.h"
#include "runtime/owner/specs.h"

namespace mobula::client {

Resources resources_of(const ResourceRequest& request, double default_cpu);
TaskOptions task_options(const Options& options);
ActorOptions actor_options(const Options& options);
/// Of a result or a value that is stored.
void check_copies(const Options& options);
/// For a class that can save its state: restarts go on from there, where the options allow restarts.
void keep_state(ActorSpec& spec, const Options& options);

}  // namespace mobula::client

// Which nodes will do for a request at all, which have room now, and how full they are. Every policy chooses among
// these; the words are what `mobula why` prints for the others.
#pragma once

#include <string>
#include <vector>

#include "scheduler/view/view.h"

namespace mobula::scheduler {

/// Why this node can never run the request, however idle it is; empty: it can.
std::string never_on(const NodeView& node, const Request& request);

/// Why it cannot run it at this moment; empty: it can. Work that waits there goes first.
std::string not_now_on(const NodeView& node, const Request& request);

/// "" matches what is there at all, "v" that value, "!v" any other or none, "in(a,b)" one of them, "!in(a,b)" none.
bool label_matches(const std::map<std::string, std::string>& labels, const std::string& key, const std::string& wanted);
/// The first of `wanted` that does not match, as "zone is b, not a"; empty: all match.
std::string label_mismatch(const std::map<std::string, std::string>& labels,
                           const std::map<std::string, std::string>& wanted);

/// Share in use of the scarcest resource that is asked for (of cpu if nothing is), in millionths: 0 is idle. A node
/// without any of it counts as full.
std::int64_t load_of(const NodeView& node, const Resources& asked);

/// The request without its wish for a node, if that is soft and the node is no member or could never run it; else as it
/// is.
const Request& softened(const View& view, const Request& request, Request& scratch);

/// For a verdict of infeasible: what is asked for, and why not on each node (the first few of many).
std::string nowhere(const View& view, const Request& request);

}  // namespace mobula::scheduler

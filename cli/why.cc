// mobula why: who waits for what, since when, and which node was passed over for which reason.
#include <memory>
#include <string>

#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"

namespace mobula::cli {

Command add_why(CLI::App& program) {
  struct Options {
    ClusterOptions cluster;
    std::string subject;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand("why", "Say why a task, an actor or a reference of a cluster is not ready");
  app->add_option("subject", options->subject,
                  "Name of a task (its function's, or Options::name), name of an actor, or a reference as errors and "
                  "explanations print it (n5f3a/3.1#17.2)")
      ->required()
      ->type_name("REF|TASK|ACTOR");
  add_cluster_options(*app, options->cluster);
  app->footer(
      "Examples:\n"
      "  mobula why simulate --address HEAD:6390 --keys mobula.keys\n"
      "  mobula why 'n5f3a/3.1#17.2' --address HEAD:6390 --keys mobula.keys\n"
      "From C++: runtime.explain(ref).");
  return {app, [options] {
            const Runtime rt = start_runtime(named_cluster(options->cluster, "why"), 1);
            write_result(rt.explain(options->subject));
            return done;
          }};
}

}  // namespace mobula::cli

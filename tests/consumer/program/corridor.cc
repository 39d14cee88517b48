#include <mobula/cli.h>

#include "corridor.h"

int main(int argc, char** argv) {
  mobula::rl::register_environment<Corridor>("corridor");
  return mobula::command_line(argc, argv);
}

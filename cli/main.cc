#include <mobula/cli.h>

int main(int argc, char** argv) {
  return mobula::command_line(argc, argv);
}

#!/usr/bin/env python3
"""The checks of tools/ find the mistakes they are for, in a small tree made for the purpose."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Checks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        shutil.copytree(ROOT / "tools", self.root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        self.write("runtime/include/mobula/a.h", "#pragma once\n#include <vector>\nusing A = std::vector<int>;\n")
        self.write("runtime/base/b.h", "#pragma once\n#include <mobula/a.h>\nA b();\n")
        self.write("runtime/net/c.cc", '#include <zmq.h>\n\n#include "runtime/base/b.h"\n')
        (self.root / "build").mkdir()

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def run_check(self, name):
        done = subprocess.run([self.root / "tools" / name], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def expect(self, check, *parts):
        status, output = self.run_check(check)
        self.assertEqual(status, 1, output)
        for part in parts:
            self.assertIn(part, output)

    def test_a_clean_tree_passes(self):
        for check in ("check_dependencies", "check_headers"):
            status, output = self.run_check(check)
            self.assertEqual(status, 0, output)

    def test_an_include_that_points_up_fails(self):
        self.write("runtime/base/d.cc", '#include "runtime/net/e.h"\n')
        self.write("runtime/net/e.h", "#pragma once\n")
        self.expect("check_dependencies", "runtime/base/d.cc:1", "runtime/base may not include runtime/net")

    def test_a_private_header_in_a_public_one_fails(self):
        self.write("runtime/include/mobula/d.h", '#pragma once\n#include "runtime/base/b.h"\n')
        self.expect("check_dependencies", "runtime/include/mobula/d.h:2", "a private header in a public one")
        self.expect("check_headers", "runtime/include/mobula/d.h does not compile alone")

    def test_a_package_in_a_public_header_fails(self):
        self.write("runtime/include/mobula/d.h", "#pragma once\n#include <fmt/format.h>\n")
        self.expect("check_dependencies", "runtime/include/mobula/d.h:2: <fmt/format.h>: not in a public header")

    def test_a_package_in_a_folder_that_may_not_see_it_fails(self):
        self.write("runtime/base/d.cc", "#include <zmq.h>\n")
        self.expect("check_dependencies", "runtime/base/d.cc: sees <zmq.h>; only runtime/net, bench/micro may")

    def test_a_package_seen_through_a_header_fails(self):
        self.write("runtime/config/d.h", "#pragma once\n#include <yaml-cpp/yaml.h>\n")
        self.write("rl/envs/e.cc", '#include "runtime/config/d.h"\n')
        self.expect("check_dependencies", "rl/envs/e.cc: sees <yaml-cpp/yaml.h> through runtime/config/d.h")

    def test_a_private_header_in_an_example_fails(self):
        self.write("examples/d.cc", '#include "runtime/base/b.h"\n')
        self.expect("check_dependencies", "examples/d.cc:1", "a private header in an example")

    def test_a_folder_that_the_table_does_not_know_fails(self):
        self.write("runtime/new/d.cc", "\n")
        self.expect("check_dependencies", "the folder runtime/new is not in tools/dependencies.txt")

    def test_a_cycle_in_the_table_fails(self):
        table = self.root / "tools/dependencies.txt"
        table.write_text(table.read_text().replace("runtime/base:\n", "runtime/base: runtime/net\n"))
        self.expect("check_dependencies", "a cycle: runtime/base -> runtime/net -> ")

    def test_a_header_that_lacks_an_include_fails_until_it_is_mended(self):
        self.write("runtime/base/d.h", "#pragma once\nstd::string d();\n")
        self.expect("check_headers", "runtime/base/d.h does not compile alone")
        self.write("runtime/base/d.h", "#pragma once\n#include <string>\nstd::string d();\n")
        self.assertEqual(self.run_check("check_headers")[0], 0)

    def test_a_header_that_passed_is_compiled_again_when_what_it_includes_changed(self):
        self.assertEqual(self.run_check("check_headers")[0], 0)
        self.write("runtime/include/mobula/a.h", "#pragma once\n")
        self.expect("check_headers", "runtime/base/b.h does not compile alone")

    def test_a_header_without_pragma_once_fails(self):
        self.write("runtime/base/d.h", "struct D {};\n")
        self.expect("check_headers", "runtime/base/d.h does not compile alone")


if __name__ == "__main__":
    unittest.main()

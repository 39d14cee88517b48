#pragma once

#include <set>
#include <string>
#include <vector>

// Whatever a process can leave in the file system, or among the sockets with a name.
std::set<std::string> leftovers();

// What has come since `before` and is Mobula's. Others on this machine make files in /tmp too: there only what names
// mobula, ZeroMQ or the program counts.
std::vector<std::string> left_since(const std::set<std::string>& before, const std::string& program);

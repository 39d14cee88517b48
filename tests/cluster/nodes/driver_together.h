#pragma once

#include <string>

// What the driver for the tests does with members and stages on two nodes; each returns an exit status.
int collective(const std::string& address, const std::string& keys);
int uneven(const std::string& address, const std::string& keys);
int graph(const std::string& address, const std::string& keys);

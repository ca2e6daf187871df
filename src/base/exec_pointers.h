// Arguments and environments as the exec family takes them.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

// Pointers to the strings, closed by a null; good as long as the strings are.
inline std::vector<char*> exec_pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace holdfast

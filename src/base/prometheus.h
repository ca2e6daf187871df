// The pieces of Prometheus's text format (version 0.0.4) that all who write metrics share.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// The two lines before a metric's samples. `type`: "gauge", "counter".
std::string metric_header(std::string_view name, std::string_view type, std::string_view help);

// A text as the value of a label, without the quotes around it; what is no UTF-8 becomes '?'.
std::string metric_label(std::string_view text);

}  // namespace holdfast

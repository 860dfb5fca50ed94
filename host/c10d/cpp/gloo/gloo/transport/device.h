// Stands in for Gloo's header of this name, see ../../README.md.
#pragma once

namespace gloo {
namespace transport {

class Device;

} // namespace transport
} // namespace gloo

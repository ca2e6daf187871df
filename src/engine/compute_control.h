// What the engine asks of one compute, and how it gets one for a folder: the seam that lets the
// engine's lifecycles be tested without servers. Behind it stands Compute (compute.h), function by
// function; that header says what they do.
//
// Objects are cheap: what a compute is, is in its folder. Thread-safety as of Compute: one thread
// at a time per object, but different objects of one folder may ask at once; only what starts,
// stops or removes is left to that branch's operations.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/compute.h"

namespace holdfast {

class ComputeControl {
 public:
  virtual ~ComputeControl() = default;
  virtual ComputeState state() const = 0;
  virtual void first_start(const BroughtFolder& brought,
                           const std::map<std::string, Secret>& passwords, const Run& run) = 0;
  virtual void start(const Run& run) = 0;
  virtual void stop(const Run& run) = 0;
  virtual void remove() = 0;
  virtual Conninfo admin_conninfo(const std::string& database) const = 0;
  virtual ComputeActivity activity() const = 0;
  virtual std::vector<ComputeRole> roles() const = 0;
  virtual void create_role(const std::string& name, const Secret& password, bool login) = 0;
  virtual void drop_role(const std::string& name) = 0;
  virtual void set_password(const std::string& role, const Secret& password) = 0;
  virtual std::vector<ComputeDatabase> databases() const = 0;
  virtual void create_database(const std::string& name, const std::string& owner) = 0;
  virtual void update_database(const std::string& name, const std::string& new_name,
                               const std::string& new_owner) = 0;
  virtual void drop_database(const std::string& name) = 0;
  virtual Lsn flush_lsn() const = 0;
};

class ComputeFactory {
 public:
  virtual ~ComputeFactory() = default;
  virtual std::unique_ptr<ComputeControl> make(const ComputeSettings& settings) = 0;
};

std::unique_ptr<ComputeFactory> make_compute_factory(ClientTools tools);

}  // namespace holdfast

#include "engine/compute_control.h"

namespace holdfast {
namespace {

class RealCompute final : public ComputeControl {
 public:
  RealCompute(const ClientTools& tools, const ComputeSettings& settings)
      : compute_(tools, settings) {}

  ComputeState state() const override { return compute_.state(); }
  void first_start(const BroughtFolder& brought, const std::map<std::string, Secret>& passwords,
                   const Run& run) override {
    compute_.first_start(brought, passwords, run);
  }
  void start(const Run& run) override { compute_.start(run); }
  void stop(const Run& run) override { compute_.stop(run); }
  void remove() override { compute_.remove(); }
  Conninfo admin_conninfo(const std::string& database) const override {
    return compute_.admin_conninfo(database);
  }
  ComputeActivity activity() const override { return compute_.activity(); }
  std::vector<ComputeRole> roles() const override { return compute_.roles(); }
  void create_role(const std::string& name, const Secret& password, bool login) override {
    compute_.create_role(name, password, login);
  }
  void drop_role(const std::string& name) override { compute_.drop_role(name); }
  void set_password(const std::string& role, const Secret& password) override {
    compute_.set_password(role, password);
  }
  std::vector<ComputeDatabase> databases() const override { return compute_.databases(); }
  void create_database(const std::string& name, const std::string& owner) override {
    compute_.create_database(name, owner);
  }
  void update_database(const std::string& name, const std::string& new_name,
                       const std::string& new_owner) override {
    compute_.update_database(name, new_name, new_owner);
  }
  void drop_database(const std::string& name) override { compute_.drop_database(name); }
  Lsn flush_lsn() const override { return compute_.flush_lsn(); }

 private:
  Compute compute_;
};

class RealFactory final : public ComputeFactory {
 public:
  explicit RealFactory(ClientTools tools) : tools_(std::move(tools)) {}
  std::unique_ptr<ComputeControl> make(const ComputeSettings& settings) override {
    return std::make_unique<RealCompute>(tools_, settings);
  }

 private:
  ClientTools tools_;
};

}  // namespace

std::unique_ptr<ComputeFactory> make_compute_factory(ClientTools tools) {
  return std::make_unique<RealFactory>(std::move(tools));
}

}  // namespace holdfast

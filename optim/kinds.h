// The makers of the optimizers, for the table in optimizer.cpp.
#pragma once

#include "optim/optimizer.h"

namespace tarn::optim {

std::unique_ptr<Optimizer> make_sgd(std::vector<ad::Parameter*> parameters,
                                    const OptimizerOptions& options);
std::unique_ptr<Optimizer> make_adam(std::vector<ad::Parameter*> parameters,
                                     const OptimizerOptions& options);
std::unique_ptr<Optimizer> make_adamw(std::vector<ad::Parameter*> parameters,
                                      const OptimizerOptions& options);
std::unique_ptr<Optimizer> make_radam(std::vector<ad::Parameter*> parameters,
                                      const OptimizerOptions& options);
std::unique_ptr<Optimizer> make_radam_standard(std::vector<ad::Parameter*> parameters,
                                               const OptimizerOptions& options);

}  // namespace tarn::optim

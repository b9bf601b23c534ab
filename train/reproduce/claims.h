// What follows from the measured numbers of an experiment.
#pragma once

#include "train/reproduce/experiment.h"
#include "train/reproduce/results.h"

namespace tarn::train::reproduce {

// Fills the columns that have a formula, of the rows that have all that it takes.
void compute_formulas(const Experiment& experiment, ExperimentResult& result);

// The verdict on a claim, with the numbers that its check takes; `testable`: at this scale.
ClaimResult judge(const Claim& claim, const ExperimentResult& result, bool testable);

// Whether a claim does not hold, or could not be tested though it is one of this scale.
bool falls_short(const Results& results);

}  // namespace tarn::train::reproduce

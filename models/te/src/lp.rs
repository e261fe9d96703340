//! Linear programs over variables that are not negative, solved by Clarabel's interior-point method: pure Rust, one
//! thread, the same steps in every build. (A simplex method of that kind takes hours on the larger of these programs; HiGHS
//! is faster, and needs CMake and a C++ compiler.)

use clarabel::algebra::CscMatrix;
use clarabel::solver::{
    DefaultSettings, DefaultSettingsBuilder, DefaultSolver, IPSolver, NonnegativeConeT, SolverStatus,
    ZeroConeT,
};

use crate::TeError;

/// Programs beyond this take more memory than a workstation has.
const MAX_VARIABLES: usize = 2_000_000;

/// Minimise a linear function under equations and upper bounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    costs: Vec<f64>,
    equal: Rows,
    at_most: Rows,
}

/// Sparse rows.
#[derive(Clone, Debug, Default)]
struct Rows {
    /// (row, variable, coefficient).
    cells: Vec<(usize, usize, f64)>,
    right: Vec<f64>,
}

/// What the solver found.
#[derive(Clone, Debug)]
pub(crate) struct Solution {
    pub values: Vec<f64>,
    /// What relaxing each upper bound by one would gain; not negative.
    pub prices: Vec<f64>,
}

impl Program {
    /// A new variable with its cost; its number.
    pub fn variable(&mut self, cost: f64) -> usize {
        self.costs.push(cost);
        self.costs.len() - 1
    }

    /// Σ coefficient × variable = right.
    pub fn equal(&mut self, row: impl IntoIterator<Item = (usize, f64)>, right: f64) {
        self.equal.push(row, right);
    }

    /// Σ coefficient × variable ≤ right; the number of the bound.
    pub fn at_most(&mut self, row: impl IntoIterator<Item = (usize, f64)>, right: f64) -> usize {
        self.at_most.push(row, right);
        self.at_most.right.len() - 1
    }

    pub fn solve(self) -> Result<Solution, TeError> {
        let variables = self.costs.len();
        if variables > MAX_VARIABLES {
            return Err(TeError::TooLarge(variables));
        }
        if variables == 0 {
            let prices = vec![0.0; self.at_most.right.len()];
            return Ok(Solution {
                values: Vec::new(),
                prices,
            });
        }
        let (equations, bounds) = (self.equal.right.len(), self.at_most.right.len());
        let mut cells = self.equal.cells;
        cells.extend(
            self.at_most
                .cells
                .iter()
                .map(|(row, variable, value)| (row + equations, *variable, *value)),
        );
        // A variable that is not negative is one more bound: −x ≤ 0.
        cells.extend((0..variables).map(|variable| (equations + bounds + variable, variable, -1.0)));
        cells.sort_by_key(|(row, variable, _)| (*variable, *row));
        let rows = equations + bounds + variables;
        let mut columns = vec![0; variables + 1];
        for (_, variable, _) in &cells {
            columns[variable + 1] += 1;
        }
        for variable in 0..variables {
            columns[variable + 1] += columns[variable];
        }
        let matrix = CscMatrix::new(
            rows,
            variables,
            columns,
            cells.iter().map(|(row, _, _)| *row).collect(),
            cells.iter().map(|(_, _, value)| *value).collect(),
        );
        let right = [self.equal.right, self.at_most.right, vec![0.0; variables]].concat();
        let cones = [ZeroConeT(equations), NonnegativeConeT(bounds + variables)];
        let settings: DefaultSettings<f64> = DefaultSettingsBuilder::default()
            .verbose(false)
            .max_iter(200)
            .build()
            .expect("valid settings");
        let nothing = CscMatrix::zeros((variables, variables));
        let mut solver = DefaultSolver::new(&nothing, &self.costs, &matrix, &right, &cones, settings)
            .map_err(|error| TeError::Solver(error.to_string()))?;
        solver.solve();
        let solution = &solver.solution;
        match solution.status {
            SolverStatus::Solved | SolverStatus::AlmostSolved => Ok(Solution {
                values: solution.x.iter().map(|value| value.max(0.0)).collect(),
                prices: solution.z[equations..equations + bounds]
                    .iter()
                    .map(|price| price.max(0.0))
                    .collect(),
            }),
            status => Err(TeError::Solver(format!("{status:?}"))),
        }
    }
}

impl Rows {
    fn push(&mut self, row: impl IntoIterator<Item = (usize, f64)>, right: f64) {
        let number = self.right.len();
        self.cells
            .extend(row.into_iter().map(|(variable, value)| (number, variable, value)));
        self.right.push(right);
    }
}

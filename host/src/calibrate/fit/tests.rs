//! Tests of the fits.

use super::*;

/// Without a prior to speak of.
fn free(name: &'static str, prior: f64) -> Parameter {
    Parameter { name, prior, prior_sd: f64::INFINITY, low: prior * 1e-3, high: prior * 1e3 }
}

/// t = a + b · x.
fn line(values: &[f64], xs: &[f64]) -> Option<Vec<f64>> {
    Some(xs.iter().map(|x| values[0] + values[1] * x).collect())
}

fn fit_line(measured: &[f64], xs: &[f64], options: &Options) -> Fit {
    let parameters = [free("a", 1.0), free("b", 1.0)];
    fit(&parameters, Measured::new(measured), options, |values| line(values, xs)).expect("finite")
}

/// Largest difference of two fits' values, in units of 3 % or one standard error of the first, whichever is larger.
fn moved(a: &Fit, b: &Fit) -> f64 {
    let moves = a.values.iter().zip(&b.values).zip(&a.standard_errors);
    moves.map(|((a, b), se)| (b / a - 1.0).abs() / se.max(0.03)).fold(0.0, f64::max)
}

fn biweight() -> Options {
    Options { biweight: Some(Biweight::USUAL), ..Options::default() }
}

#[test]
fn a_line_is_found() {
    let xs = [1.0, 2.0, 5.0, 10.0, 30.0];
    let measured = line(&[3.0, 0.5], &xs).expect("finite");
    for options in [Options::default(), biweight()] {
        let got = fit_line(&measured, &xs, &options);
        assert!((got.values[0] - 3.0).abs() < 1e-3 && (got.values[1] - 0.5).abs() < 1e-3, "{got:?}");
        assert!(got.residuals.iter().all(|e| e.abs() < 1e-3) && got.residuals.len() == 5, "{got:?}");
        assert!(
            got.cost < 1e-6 && got.at_bound == [false; 2] && got.at_prior == [false; 2] && got.iterations > 1,
            "{got:?}"
        );
    }
}

#[test]
fn a_line_is_found_from_far() {
    let xs = [1.0, 2.0, 5.0, 10.0, 30.0];
    let measured = line(&[300.0, 400.0], &xs).expect("finite");
    let got = fit_line(&measured, &xs, &Options::default());
    assert!((got.values[0] / 300.0 - 1.0).abs() < 5e-3 && (got.values[1] / 400.0 - 1.0).abs() < 5e-3, "{got:?}");
}

#[test]
fn standard_errors_by_hand() {
    // t = p for n rows: J is 1 in each, so A = n/scale² + 1/sd² = 16/0.2² + 1/0.1² = 500, and the error is 500^-½ = 0.044721.
    let parameter = Parameter { name: "p", prior: 2.0, prior_sd: 0.1, low: 1.0, high: 4.0 };
    let options = Options { scale: 0.2, ..Options::default() };
    let got = fit(&[parameter], Measured::new(&[2.0; 16]), &options, |p| Some(vec![p[0]; 16])).expect("finite");
    assert!((got.standard_errors[0] - 0.044_721).abs() < 1e-6, "{got:?}");
    // Half the weight: 200 + 100 = 300, 0.057735.
    let measured = Measured { times: &[2.0; 16], weights: Some(&[0.5; 16]) };
    let got = fit(&[parameter], measured, &options, |p| Some(vec![p[0]; 16])).expect("finite");
    assert!((got.standard_errors[0] - 0.057_735).abs() < 1e-6, "{got:?}");
}

#[test]
fn losses_by_hand() {
    // e = 0.3 at scale 0.1: z = 3, ρ = 2 (√10 − 1) = 4.324555, weight 1/√10 = 0.316228; with a corner of 2, z = 1.5 and
    // ρ = 8 (√3.25 − 1) = 6.422205.
    let (scale, cut) = (0.1, 4.0);
    let huber = |corner| Loss::PseudoHuber { scale, corner };
    assert!((huber(1.0).of(0.3) - 4.324_555).abs() < 1e-6 && (huber(1.0).weight(0.3) - 0.316_228).abs() < 1e-6);
    assert!((huber(2.0).of(0.3) - 6.422_205).abs() < 1e-6);
    // e = 0.2 at a cut of 4 scales of 0.1: q = 0.25, ρ = 16/3 (1 − 0.75³) = 3.083333, weight 0.75² = 0.5625; beyond the cut 16/3 and 0.
    let biweight = Loss::Biweight { scale, cut };
    assert!((biweight.of(0.2) - 3.083_333).abs() < 1e-6 && (biweight.weight(0.2) - 0.5625).abs() < 1e-12);
    assert!((biweight.of(9.0) - 16.0 / 3.0).abs() < 1e-12 && biweight.weight(9.0) == 0.0);
    // Each loss is the square of the error in scales where the error is small, and its slope is 2 e weight / scale².
    for loss in [huber(1.0), huber(2.0), biweight] {
        assert!((loss.of(1e-4) - 1e-6).abs() < 1e-11);
        for error in [0.05, 0.2, 0.35] {
            let slope = (loss.of(error + 1e-6) - loss.of(error - 1e-6)) / 2e-6;
            assert!((slope - 2.0 * error * loss.weight(error) / (scale * scale)).abs() < 1e-4);
        }
    }
}

#[test]
fn outliers_in_one_row_of_a_hundred_move_little() {
    let xs: Vec<f64> = (1..=200).map(f64::from).collect();
    // Errors of ±3 %, in a pattern of seven that has no slope.
    let noise = |row: usize| 1.0 + 0.01 * [0.0, 1.0, -2.0, 3.0, -3.0, 2.0, -1.0][row % 7];
    let clean: Vec<f64> =
        line(&[3.0, 0.5], &xs).expect("finite").iter().enumerate().map(|(row, t)| t * noise(row)).collect();
    for factor in [10.0, 0.1] {
        for off in [[0, 100], [1, 199], [57, 58]] {
            let mut spoilt = clean.clone();
            for row in off {
                spoilt[row] *= factor;
            }
            let least_squares = Options { corner: 1e6, ..Options::default() };
            let move_of = |options: &Options| moved(&fit_line(&clean, &xs, options), &fit_line(&spoilt, &xs, options));
            assert!(move_of(&Options::default()) < 1.0 && move_of(&biweight()) < 0.1, "{factor} {off:?}");
            assert!(move_of(&least_squares) > 0.5, "the rows would matter: {factor} {off:?}");
        }
    }
}

#[test]
fn weights_count_rows() {
    let times = [1.0, 1.2, 5.0];
    let parameters = [free("a", 1.0)];
    let constant = |values: &[f64]| Some(vec![values[0]; 3]);
    let fit_with = |weights: &[f64]| {
        let measured = Measured { times: &times, weights: Some(weights) };
        fit(&parameters, measured, &biweight(), constant).expect("finite")
    };
    // A row of weight 0 changes nothing, whatever it says; a row twice is a row of weight 2.
    let got = fit_with(&[2.0, 1.0, 0.0]);
    let twice = fit(&parameters, Measured::new(&[1.0, 1.0, 1.2]), &Options::default(), constant).expect("finite");
    let without = fit_with(&[1.0, 1.0, 0.0]);
    assert!(got.values[0] < without.values[0] && (without.values[0] - 1.2_f64.sqrt()).abs() < 1e-3, "{got:?}");
    let first = Measured { times: &times, weights: Some(&[2.0, 1.0, 0.0]) };
    let first = fit(&parameters, first, &Options::default(), constant).expect("finite");
    assert!((first.values[0] / twice.values[0] - 1.0).abs() < 1e-6, "{first:?} {twice:?}");
    assert!((first.residuals[2] - (first.values[0] / 5.0).ln()).abs() < 1e-12);
}

#[test]
fn without_data_the_prior_stays_and_bounds_hold() {
    let parameter = Parameter { name: "p", prior: 2.0, prior_sd: 1.0, low: 1.5, high: 2.5 };
    let fit_to = |times: &[f64]| {
        fit(&[parameter], Measured::new(times), &Options::default(), |values| Some(vec![values[0]; times.len()]))
            .expect("finite")
    };
    let got = fit_to(&[]);
    assert!(parameter.at_prior(got.values[0]) && got.at_prior[0] && !got.at_bound[0], "{got:?}");
    assert!((got.standard_errors[0] - 1.0).abs() < 1e-9, "{got:?}");
    let got = fit_to(&[100.0; 20]);
    assert!((got.values[0], got.at_bound[0], got.at_prior[0]) == (2.5, true, false), "{got:?}");
    assert_eq!(fit_to(&[0.01; 20]).values, [1.5]);
}

#[test]
fn a_cost_by_hand() {
    // Times of the model at 3 and 0.5, held to 1 and 1 by priors of e^±10: (ln 3 / 10)² + (ln 2 / 10)² = 0.016874.
    let xs = [1.0, 2.0, 5.0, 10.0, 30.0];
    let measured = line(&[3.0, 0.5], &xs).expect("finite");
    let parameters = ["a", "b"].map(|name| Parameter { prior_sd: 10.0, ..free(name, 1.0) });
    let options = Options::default();
    let got = fit(&parameters, Measured::new(&measured), &options, |values| line(values, &xs)).expect("finite");
    assert!((got.cost - 0.016_874).abs() < 1e-4, "{got:?}");
}

#[test]
fn what_no_row_depends_on_has_no_standard_error() {
    let got = fit(&[free("p", 2.0)], Measured::new(&[3.0]), &Options::default(), |_| Some(vec![3.0])).expect("finite");
    assert_eq!((got.values[0], got.standard_errors[0], got.at_prior[0]), (2.0, f64::INFINITY, true));
}

#[test]
fn at_a_bound_the_others_still_find_their_best() {
    // t = a · b^½ · x with b held below what the data want: a makes up for it.
    let xs = [1.0, 2.0, 4.0, 8.0];
    let times = xs.map(|x| 6.0 * x);
    let bounded = Parameter { name: "b", prior: 1.0, prior_sd: 10.0, low: 0.5, high: 4.0 };
    let stiff = Parameter { name: "a", prior: 1.0, prior_sd: 0.5, low: 0.1, high: 10.0 };
    let options = Options { scale: 0.01, ..Options::default() };
    let got = fit(&[stiff, bounded], Measured::new(&times), &options, |values| {
        Some(xs.iter().map(|x| values[0] * values[1].sqrt() * x).collect())
    })
    .expect("finite");
    assert!(got.values[1] == 4.0 && (got.values[0] - 3.0).abs() < 1e-2, "{got:?}");
}

#[test]
fn a_fixed_parameter_stays_to_the_bit() {
    let xs = [1.0, 2.0, 5.0, 10.0, 30.0];
    let measured = line(&[3.0, 0.5], &xs).expect("finite");
    let fixed = Parameter { prior: 0.7, prior_sd: 0.0, ..free("b", 0.7) };
    let options = Options { starts: vec![vec![1.0, 5.0]], ..Options::default() };
    let got = fit(&[free("a", 1.0), fixed], Measured::new(&measured), &options, |v| line(v, &xs)).expect("finite");
    assert!(got.values[1] == 0.7 && got.standard_errors[1] == 0.0 && got.values[0] != 1.0, "{got:?}");
    assert_eq!((got.at_prior[1], got.at_bound[1]), (false, false));
}

#[test]
fn a_prior_pulls_by_its_width() {
    // One row of 4 against a prior of 1: (e/0.2)² and (x/0.1)² meet where 25 (ln 4 − x) = 100 x, at x = ln 4 / 5. The loss must be
    // a square for this: a corner far away.
    let parameter = Parameter { name: "p", prior: 1.0, prior_sd: 0.1, low: 0.01, high: 100.0 };
    let options = Options { scale: 0.2, corner: 1e4, ..Options::default() };
    let got = fit(&[parameter], Measured::new(&[4.0]), &options, |values| Some(vec![values[0]])).expect("finite");
    assert!((got.values[0].ln() - 4.0_f64.ln() / 5.0).abs() < 1e-4, "{got:?}");
}

#[test]
fn the_lower_of_two_minima_is_kept() {
    // ln t = (ln p)² has the same times at p and 1/p; the prior tells them apart.
    let parameter = Parameter { name: "p", prior: 2.0, prior_sd: 10.0, low: 0.01, high: 100.0 };
    let predict = |values: &[f64]| Some(vec![values[0].ln().powi(2).exp(); 8]);
    let times = [9.0_f64.ln().powi(2).exp(); 8];
    let from = |starts: Vec<Vec<f64>>| {
        let options = Options { starts, ..Options::default() };
        fit(&[parameter], Measured::new(&times), &options, predict).expect("finite").values[0]
    };
    assert!((from(vec![vec![0.2]]) * 9.0 - 1.0).abs() < 1e-2, "{}", from(vec![vec![0.2]]));
    let both = from(alternatives(&[parameter], &[("p", &[0.2, 5.0]), ("q", &[7.0])]));
    assert!((both / 9.0 - 1.0).abs() < 1e-2, "{both}");
}

#[test]
fn starting_points_by_hand() {
    let parameters = [free("a", 1.0), free("b", 2.0), free("c", 3.0)];
    let got = alternatives(&parameters, &[("b", &[5.0, 6.0]), ("c", &[7.0, 8.0])]);
    assert_eq!(got, [[1.0, 5.0, 7.0], [1.0, 5.0, 8.0], [1.0, 6.0, 7.0], [1.0, 6.0, 8.0]]);
    let around = around_priors(&parameters);
    assert!(around[0] == [1.0, 2.0, 3.0] && (around[2][1] - 2.0 * 0.5_f64.exp()).abs() < 1e-12, "{around:?}");
}

#[test]
fn a_start_without_times_is_passed_over() {
    let predict = |values: &[f64]| (values[0] < 50.0).then(|| vec![values[0]; 4]);
    let options = Options { starts: vec![vec![80.0], vec![10.0]], ..Options::default() };
    let got = fit(&[free("p", 1.0)], Measured::new(&[30.0; 4]), &options, predict).expect("finite");
    assert!((got.values[0] / 30.0 - 1.0).abs() < 1e-2, "{got:?}");
}

#[test]
fn a_second_fit_gives_the_same_bits() {
    let xs: Vec<f64> = (1..=50).map(f64::from).collect();
    let measured: Vec<f64> = xs.iter().map(|x| 2.0 + x.sqrt()).collect();
    assert_eq!(fit_line(&measured, &xs, &biweight()), fit_line(&measured, &xs, &biweight()));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let parameter = free("p", 1.0);
    let fit_of = |parameter: Parameter, measured: Measured<'_>, options: &Options| {
        fit(&[parameter], measured, options, |values| Some(vec![values[0]])).map(|_| ())
    };
    let (one, usual) = (Measured::new(&[1.0]), Options::default());
    assert_eq!(fit(&[parameter], one, &usual, |_| None), Err(FitError::NotFinite));
    assert_eq!(fit(&[parameter], one, &usual, |_| Some(vec![1.0, 2.0])), Err(FitError::NotFinite));
    for wrong in [
        Parameter { low: 0.0, ..parameter },
        Parameter { high: 0.5, ..parameter },
        Parameter { prior: f64::NAN, ..parameter },
        Parameter { prior_sd: -1.0, ..parameter },
    ] {
        assert_eq!(fit_of(wrong, one, &usual), Err(FitError::Parameter { name: "p" }));
    }
    assert_eq!(fit_of(parameter, Measured::new(&[0.0]), &usual), Err(FitError::Row { row: 0 }));
    let weights = Measured { times: &[1.0], weights: Some(&[f64::NAN]) };
    assert_eq!(fit_of(parameter, weights, &usual), Err(FitError::Row { row: 0 }));
    let weights = Measured { times: &[1.0], weights: Some(&[]) };
    assert_eq!(fit_of(parameter, weights, &usual), Err(FitError::Length { what: "weights", found: 0, expected: 1 }));
    let starts = Options { starts: vec![vec![]], ..Options::default() };
    let length = FitError::Length { what: "starting point", found: 0, expected: 1 };
    assert_eq!(fit_of(parameter, one, &starts), Err(length));
}

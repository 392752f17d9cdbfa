//! Rules in CEL, the Common Expression Language, with a limited cost.
//!
//! See <https://github.com/google/cel-spec>. The evaluation of an expression counts the steps of its comprehensions
//! (`all`, `exists`, `exists_one`, `map`, `filter`) and has a deadline, so that it always ends.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::parser::Parser;
use cel::{Context, ExecutionError, IdedExpr, Value};
use serde_json::Value as Json;

use super::error::ValidatorError;
use super::source::RuleSource;

/// The maximum number of bytes of an expression.
const MAX_EXPRESSION: usize = 1_000;
/// The maximum depth of an expression.
const MAX_DEPTH: usize = 48;
/// The maximum number of comprehensions inside of each other.
const MAX_NESTED: usize = 3;
/// The maximum number of steps of all comprehensions of a validation.
const MAX_STEPS: u64 = 100_000;
/// The maximum time of all rules of a validation.
const MAX_TIME: Duration = Duration::from_secs(2);
/// The stack of the thread that parses an expression.
///
/// The parser needs many frames for each nested part.
const PARSER_STACK: usize = 32 << 20;
/// The name of the function that counts a step. No expression can contain it.
const STEP: &str = "@step";

/// A compiled rule.
pub struct Rule {
    /// The id.
    pub id: String,
    /// The steps of the pointer to the values that the rule checks. `*` means every item or entry.
    pub target: Vec<String>,
    /// The message if the rule is broken.
    pub message: String,
    expression: IdedExpr,
}

/// The result of a rule for one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleOutcome {
    /// The rule holds.
    Holds,
    /// The rule is broken.
    Broken,
    /// The rule cannot be evaluated.
    Failed(String),
}

impl Rule {
    /// Compiles a rule.
    pub fn compile(source: &RuleSource) -> Result<Self, ValidatorError> {
        let refused = |problem: String| ValidatorError::Rule {
            rule: source.id.chars().take(40).collect(),
            problem,
        };
        if source.expression.len() > MAX_EXPRESSION {
            let limit = format!("expression too long; the limit is {MAX_EXPRESSION} bytes");
            return Err(refused(limit));
        }
        let target = match source.pointer.as_deref().unwrap_or_default() {
            "" => Vec::new(),
            pointer => {
                let rest = pointer
                    .strip_prefix('/')
                    .ok_or_else(|| refused("invalid pointer; it must start with `/`".to_owned()))?;
                let step = |step: &str| step.replace("~1", "/").replace("~0", "~");
                rest.split('/').map(step).collect()
            }
        };
        let mut expression = parse(&source.expression).map_err(refused)?;
        check(&expression, 0, 0).map_err(refused)?;
        count_steps(&mut expression);
        Ok(Self {
            id: source.id.clone(),
            target,
            message: source.message.clone(),
            expression,
        })
    }

    /// Evaluates the rule for the value `target` of the document `root`.
    pub fn evaluate(&self, root: &Json, target: &Json, budget: &Budget) -> RuleOutcome {
        if budget.is_used_up() {
            return RuleOutcome::Failed("the rules need too many steps".to_owned());
        }
        let evaluated = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::default();
            let steps = budget.clone();
            let step = move || match steps.step() {
                true => Ok(true),
                false => Err(ExecutionError::function_error("step", "too many steps")),
            };
            context
                .add_function(STEP, step)
                .map_err(|error| error.to_string())?;
            context
                .add_variable("self", to_cel(target))
                .map_err(|error| error.to_string())?;
            context
                .add_variable("root", to_cel(root))
                .map_err(|error| error.to_string())?;
            context
                .resolve(&self.expression)
                .map_err(|error| error.to_string())
        }));
        match evaluated {
            _ if budget.is_used_up() => {
                RuleOutcome::Failed("the rules need too many steps".to_owned())
            }
            Ok(Ok(Value::Bool(true))) => RuleOutcome::Holds,
            Ok(Ok(Value::Bool(false))) => RuleOutcome::Broken,
            Ok(Ok(_)) => RuleOutcome::Failed("the result is not true or false".to_owned()),
            Ok(Err(error)) => RuleOutcome::Failed(error.chars().take(200).collect()),
            Err(_) => RuleOutcome::Failed("the expression cannot be evaluated".to_owned()),
        }
    }
}

/// The steps and the time that the rules of a validation have left.
#[derive(Clone)]
pub struct Budget {
    steps: Arc<AtomicU64>,
    end: Instant,
}

impl Budget {
    /// Creates the budget of a validation.
    pub fn new() -> Self {
        Self {
            steps: Arc::new(AtomicU64::new(MAX_STEPS)),
            end: Instant::now() + MAX_TIME,
        }
    }

    /// Uses one step. Returns whether there was one.
    fn step(&self) -> bool {
        let left = self.steps.load(Ordering::Relaxed);
        if left == 0 || Instant::now() > self.end {
            self.steps.store(0, Ordering::Relaxed);
            return false;
        }
        self.steps.store(left - 1, Ordering::Relaxed);
        true
    }

    fn is_used_up(&self) -> bool {
        self.steps.load(Ordering::Relaxed) == 0 || Instant::now() > self.end
    }
}

/// Converts JSON to a value of CEL. Integers of 64 bits with a sign are of the type `int`.
fn to_cel(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) => Value::UInt(value),
            (None, None) => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(to_cel).collect::<Vec<_>>()),
        Json::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (key.clone(), to_cel(value)));
            Value::from(entries.collect::<HashMap<_, _>>())
        }
    }
}

/// Parses an expression on a thread with a large stack, so that no text can overflow it.
fn parse(text: &str) -> Result<IdedExpr, String> {
    let source = text.to_owned();
    let parser = std::thread::Builder::new().stack_size(PARSER_STACK);
    let parser = parser.spawn(move || {
        let parsed = Parser::new().max_recursion_depth(96).parse(&source);
        let parsed = parsed.map_err(|errors| match errors.errors.first() {
            Some(error) => {
                let (line, column) = error.pos;
                format!("line {line}, column {}: {}", column + 1, error.msg)
            }
            None => "not an expression".to_owned(),
        })?;
        // A deep tree must not leave this thread.
        check(&parsed, 0, 0)?;
        Ok(parsed)
    });
    let parsed = parser.map_err(|error| error.to_string())?.join();
    parsed.unwrap_or_else(|_| Err("the expression cannot be parsed".to_owned()))
}

/// Checks the depth of an expression, and that it has only parts that the evaluation supports.
fn check(expression: &IdedExpr, depth: usize, nested: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!(
            "expression too deep; the limit is {MAX_DEPTH} levels"
        ));
    }
    if nested > MAX_NESTED {
        return Err(format!(
            "too many comprehensions inside of each other; the limit is {MAX_NESTED}"
        ));
    }
    match &expression.expr {
        Expr::Unspecified | Expr::Struct(_) => {
            return Err("only values, operators, functions and macros are supported".to_owned());
        }
        Expr::Map(map)
            if map
                .entries
                .iter()
                .any(|entry| matches!(entry.expr, EntryExpr::StructField(_))) =>
        {
            return Err("only values, operators, functions and macros are supported".to_owned());
        }
        _ => {}
    }
    let inner = nested + usize::from(matches!(expression.expr, Expr::Comprehension(_)));
    parts(expression)
        .into_iter()
        .try_for_each(|part| check(part, depth + 1, inner))
}

fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::Comprehension(fold) => vec![
            &fold.iter_range,
            &fold.accu_init,
            &fold.loop_cond,
            &fold.loop_step,
            &fold.result,
        ],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => {
            let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                EntryExpr::StructField(_) => None,
            });
            entries.flatten().collect()
        }
        Expr::Select(select) => vec![&select.operand],
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => Vec::new(),
    }
}

/// Adds a call of the function that counts to each step of each comprehension.
fn count_steps(expression: &mut IdedExpr) {
    match &mut expression.expr {
        Expr::Call(call) => {
            call.target
                .as_deref_mut()
                .into_iter()
                .chain(&mut call.args)
                .for_each(count_steps);
        }
        Expr::Comprehension(fold) => {
            for part in [
                &mut fold.iter_range,
                &mut fold.accu_init,
                &mut fold.loop_step,
                &mut fold.result,
            ] {
                count_steps(part);
            }
            // The error of the function ends the comprehension, because it is the condition of a conditional.
            let condition = std::mem::take(&mut fold.loop_cond);
            if matches!(condition.expr, Expr::Literal(_)) {
                // `map` and `filter`: the evaluation appends in place only if the condition is a literal.
                fold.loop_cond = condition;
                let step = std::mem::take(&mut fold.loop_step);
                fold.loop_step = counted_append(step, &fold.accu_var);
            } else {
                fold.loop_cond = conditional(counter(), condition, boolean(false));
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(count_steps),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    count_steps(&mut entry.key);
                    count_steps(&mut entry.value);
                }
            }
        }
        Expr::Select(select) => count_steps(&mut select.operand),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
    }
}

/// Adds the counter to the step of `map`, `filter` or `exists_one`.
fn counted_append(step: IdedExpr, accumulator: &str) -> IdedExpr {
    if let Expr::Call(CallExpr {
        func_name,
        target: None,
        args,
    }) = &step.expr
        && func_name == operators::CONDITIONAL
        && let [guard, then, otherwise] = &args[..]
    {
        let guard = conditional(counter(), guard.clone(), boolean(false));
        return conditional(guard, then.clone(), otherwise.clone());
    }
    let unchanged = Expr::Ident(accumulator.to_owned());
    conditional(counter(), step, expression(unchanged))
}

fn counter() -> IdedExpr {
    expression(Expr::Call(CallExpr {
        func_name: STEP.to_owned(),
        target: None,
        args: Vec::new(),
    }))
}

fn conditional(condition: IdedExpr, then: IdedExpr, otherwise: IdedExpr) -> IdedExpr {
    expression(Expr::Call(CallExpr {
        func_name: operators::CONDITIONAL.to_owned(),
        target: None,
        args: vec![condition, then, otherwise],
    }))
}

fn boolean(value: bool) -> IdedExpr {
    expression(Expr::Literal(LiteralValue::Boolean(value.into())))
}

fn expression(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}

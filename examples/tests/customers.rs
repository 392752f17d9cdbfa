//! The limit of accounts per customer.

use bank::{AccountEvent, AccountId, Open, OpenError};
use factum_examples::bank;
use factum_testkit::given;

fn opened(customer: &str) -> AccountEvent {
    let customer = customer.to_owned();
    AccountEvent::Opened { customer }
}

#[test]
fn fourth_account_is_rejected() {
    let (account, customer) = (AccountId(9), "Ada".to_owned());
    let open = Open {
        account,
        customer: customer.clone(),
    };
    given(((), [opened("Ada"), opened("Ada")]))
        .when(open.clone())
        .then([opened("Ada")]);
    given(((), [opened("Ada"), opened("Ada"), opened("Ada")]))
        .when(open)
        .then_rejected(OpenError::TooManyAccounts { customer });
}

#[test]
fn accounts_of_other_customers_do_not_count() {
    let open = Open {
        account: AccountId(9),
        customer: "Ada".to_owned(),
    };
    given(((), [opened("Bob"), opened("Bob"), opened("Bob")]))
        .when(open)
        .then([opened("Ada")]);
}

#[test]
fn closed_account_does_not_count() {
    let closed = AccountEvent::Closed {
        customer: "Ada".to_owned(),
    };
    let open = Open {
        account: AccountId(9),
        customer: "Ada".to_owned(),
    };
    given(((), [opened("Ada"), opened("Ada"), opened("Ada"), closed]))
        .when(open)
        .then([opened("Ada")]);
}

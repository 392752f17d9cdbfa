//! Decisions about transfers.

use bank::{AccountError, AccountEvent, AccountId, Transfer};
use factum_examples::bank;
use factum_testkit::given;

const ADA: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);

fn opened(customer: &str) -> AccountEvent {
    let customer = customer.to_owned();
    AccountEvent::Opened { customer }
}

#[test]
fn transfer_moves_money_between_accounts() {
    given((
        [opened("Ada"), AccountEvent::Deposited { amount: 100 }],
        [opened("Bob")],
    ))
    .when(Transfer {
        from: ADA,
        to: BOB,
        amount: 30,
    })
    .then((
        [AccountEvent::Withdrawn { amount: 30 }],
        [AccountEvent::Deposited { amount: 30 }],
    ));
}

#[test]
fn transfer_to_unopened_account_is_rejected() {
    given(([opened("Ada"), AccountEvent::Deposited { amount: 100 }], ()))
        .when(Transfer {
            from: ADA,
            to: BOB,
            amount: 30,
        })
        .then_rejected(AccountError::NotOpen);
}

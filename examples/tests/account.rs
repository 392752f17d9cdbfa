//! Decisions about one account.

use bank::{AccountError, AccountEvent, AccountId, Close, Deposit, Withdraw};
use factum_examples::bank;
use factum_testkit::given;

const ADA: AccountId = AccountId(1);

fn opened(customer: &str) -> AccountEvent {
    let customer = customer.to_owned();
    AccountEvent::Opened { customer }
}

#[test]
fn withdrawal_within_balance_is_accepted() {
    given([opened("Ada"), AccountEvent::Deposited { amount: 100 }])
        .when(Withdraw {
            account: ADA,
            amount: 30,
        })
        .then([AccountEvent::Withdrawn { amount: 30 }]);
}

#[test]
fn withdrawal_above_balance_is_rejected() {
    given([opened("Ada"), AccountEvent::Deposited { amount: 100 }])
        .when(Withdraw {
            account: ADA,
            amount: 130,
        })
        .then_rejected(AccountError::TooLittle { balance: 100 });
}

#[test]
fn deposit_to_unopened_account_is_rejected() {
    given(())
        .when(Deposit {
            account: ADA,
            amount: 100,
        })
        .then_rejected(AccountError::NotOpen);
}

#[test]
fn account_with_balance_cannot_be_closed() {
    given([opened("Ada"), AccountEvent::Deposited { amount: 1 }])
        .when(Close { account: ADA })
        .then_rejected(AccountError::NotEmpty { balance: 1 });
}

use factum::prelude::*;

#[derive(Id, Debug, Clone, PartialEq)]
struct AccountId(u32, u32);

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "account")]
enum AccountEvent {
    Opened {
        #[tag]
        account: AccountId,
    },
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "account", id = AccountId, event = AccountEvent)]
struct Account;

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, _: &AccountEvent) {}
}

#[derive(Command, Serialize)]
#[command(on = Account)]
struct Open {
    #[id]
    account: AccountId,
}

impl Decide for Open {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Account) -> Result<Events<AccountEvent>, Self::Error> {
        let account = self.account.clone();
        Ok(AccountEvent::Opened { account }.into())
    }
}

#[derive(Projection, Default)]
#[projection(events = AccountEvent)]
struct Accounts;

impl Project<AccountEvent> for Accounts {
    fn project(&mut self, _: &Recorded<AccountEvent>) {}
}

async fn run(engine: &Engine, account: AccountId) {
    let _runtime = Runtime::builder(engine)
        .projection(InMemory::<Accounts>::new())
        .start()
        .await;
    let _ = engine
        .execute(Open {
            account: account.clone(),
        })
        .await;
    let _ = engine.load::<Account>(&account).await;
}

fn main() {}

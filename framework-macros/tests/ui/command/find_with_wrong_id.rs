use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum ToolEvent {
    Returned,
}

#[derive(Event, Serialize, Deserialize)]
enum MemberEvent {
    GaveBack,
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "tool", id = u32, event = ToolEvent)]
struct Tool {
    holder: Option<String>,
}

impl Apply<ToolEvent> for Tool {
    fn apply(&mut self, _: &ToolEvent) {}
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "member", id = String, event = MemberEvent)]
struct Member;

impl Apply<MemberEvent> for Member {
    fn apply(&mut self, _: &MemberEvent) {}
}

#[derive(Command, Serialize)]
#[command(on = Tool, find = Option<Member>)]
struct Return {
    #[id]
    tool: u32,
}

impl Find for Return {
    fn find(&self, _: &Tool) -> Option<u32> {
        Some(7)
    }
}

impl Decide for Return {
    type Error = std::convert::Infallible;

    fn decide(
        &self,
        _: (&Tool, Option<&Member>),
    ) -> Result<(Events<ToolEvent>, Events<MemberEvent>), Self::Error> {
        Ok((ToolEvent::Returned.into(), MemberEvent::GaveBack.into()))
    }
}

fn main() {}

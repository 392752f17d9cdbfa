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
#[command(on = Tool, find = Member)]
struct Return {
    #[id]
    tool: u32,
}

impl Find for Return {
    fn find(&self, tool: &Tool) -> String {
        tool.holder.clone().unwrap_or_default()
    }
}

impl Decide for Return {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Tool) -> Result<Events<ToolEvent>, Self::Error> {
        Ok(ToolEvent::Returned.into())
    }
}

fn main() {}
